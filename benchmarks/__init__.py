"""How fast and how small, side by side with what people use today."""
