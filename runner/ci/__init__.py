"""What services that run studies need: workflows of GitHub Actions, scripts of Slurm."""
