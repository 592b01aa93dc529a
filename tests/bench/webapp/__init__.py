"""What bench of the web application is, and what it is compared with."""
