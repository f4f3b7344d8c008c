"""How do requests reach the use cases? One module a noun; a route opens the transaction."""
