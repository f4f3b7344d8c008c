"""How fast is a transfer beside pgloader, the guide's script, and PostgreSQL itself?"""
