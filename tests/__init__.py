"""Tests mirror the code's folders; journeys walk the product; repository tests watch the code base itself."""
