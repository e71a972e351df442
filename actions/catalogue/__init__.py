"""The actions, one file each; whatever stands here appears by itself in policy, cards and listings."""
