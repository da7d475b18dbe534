"""What tests share: real servers, a faulty network, receivers and patience."""
