"""How does the Docker SDK fulfil the Engine port?

`engine.DockerEngine` is the door; every other file answers one question of it. Nothing here runs the Docker or Compose
command line.
"""
