"""balora-audit."""
