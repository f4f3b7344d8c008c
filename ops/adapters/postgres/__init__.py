"""How is a PostgreSQL database read, dumped, loaded, compared and swapped?"""
