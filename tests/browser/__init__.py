"""What a person does with a browser: Debian's Chromium, on a phone's width, from this machine alone."""
