"""What does a person do about what stood still and was ended?"""

STALLED_HINT = "inv ps, then the same command again (OPS_LOAD_IDLE_TIMEOUT_S is the limit)"
