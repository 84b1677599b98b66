"""What changed in an object, into its store."""
