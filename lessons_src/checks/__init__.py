"""What the exercises are checked by: one module for each lesson with exercises."""
