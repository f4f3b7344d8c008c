"""Which use cases does the application have? One module a noun; callers hold the transaction."""
