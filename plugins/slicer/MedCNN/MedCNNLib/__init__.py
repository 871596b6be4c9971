"""What the module MedCNN is made of; each part can be tested without its panel."""
