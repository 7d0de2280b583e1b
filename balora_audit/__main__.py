"""``python -m balora_audit``."""

from balora_audit.interface.cli import main

if __name__ == "__main__":
    main()
