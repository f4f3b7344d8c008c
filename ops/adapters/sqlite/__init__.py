"""How is a SQLite database read, copied, compared and replaced while an application has it open?"""
