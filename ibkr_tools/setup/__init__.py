"""The first run, and each later change: answers become a configuration, a schedule, and units that are started."""
