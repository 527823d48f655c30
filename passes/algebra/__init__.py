"""What `exact-algebra` is made of."""
