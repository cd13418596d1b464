"""What one campaign file may say."""
