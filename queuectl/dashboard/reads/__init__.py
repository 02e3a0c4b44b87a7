"""What each page shows, read in one look at the queue: plain functions that return values, without Streamlit."""
