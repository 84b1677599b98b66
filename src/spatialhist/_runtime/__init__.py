"""Files written whole, broken ones named, processes and threads; knows nothing of slides."""
