"""What a compose file means: text in, a resolved `Stack` out."""
