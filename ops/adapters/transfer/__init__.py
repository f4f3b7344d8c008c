"""How is data read from one database and written to the other, in bulk and compared?"""
