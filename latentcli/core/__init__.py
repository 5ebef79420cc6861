"""Names and values that every room speaks of; nothing here computes, and nothing is imported but itself."""
