"""What HEST-1k says of its samples."""
