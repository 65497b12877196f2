"""What services that run studies need: workflows of GitHub Actions, their outputs and comments."""
