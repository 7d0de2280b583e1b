"""What people call: the command line and the Python interface. Parse, call, print, exit code."""
