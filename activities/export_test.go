package activities

// Translate is the table, for its test.
var Translate = translate
