"""hls4ml: its models as input, its configurations as options, and calocc as one of its backends.

Nothing here is imported unless a user brings something of hls4ml's; the package itself is only
imported where one of its objects is made.
"""
