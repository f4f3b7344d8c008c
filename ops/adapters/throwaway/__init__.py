"""Where does a drill restore to, since it must never be the production server?"""
