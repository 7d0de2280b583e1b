"""An audit in other forms than its page."""
