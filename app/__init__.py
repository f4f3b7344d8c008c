"""comic-pile: which comic do I read next? A pile of threads, a die, and a rating that moves them."""
