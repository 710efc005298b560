"""What can be wrong, one question a function: from observed objects to a finding, or none."""
