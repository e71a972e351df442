"""The home of Slack's SDK: what Slack delivers comes in here, what people read goes out."""
