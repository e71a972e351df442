"""What the team knows: remembered in the transaction that says it, found again by whoever may see its sources now."""
