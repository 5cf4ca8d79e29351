"""What several lessons share and a practitioner takes home; imports no lesson."""
