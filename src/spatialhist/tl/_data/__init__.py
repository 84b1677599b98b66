"""What a run looks at: spots, features, targets, groups."""
