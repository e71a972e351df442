"""Two outside systems to practise on, a shop and a payment provider, that know nothing of our transactions."""
