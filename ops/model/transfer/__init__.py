"""What is moved between SQLite and PostgreSQL, and in which text form does each value travel?"""
