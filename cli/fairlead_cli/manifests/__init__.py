"""What the repository ships to clusters, judged by others."""
