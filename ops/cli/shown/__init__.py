"""How does each task's result look? One file a noun, named like the files of the tasks."""
