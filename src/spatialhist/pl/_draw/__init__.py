"""What several pictures draw alike."""
