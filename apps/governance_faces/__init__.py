"""What members and integrations see of governance: its portal pages and its REST API."""
