"""The flow: one file a stage, one public function a stage; each leaves rows for the next."""
