package score

// Tokens is the tokenizer of the rouge assertions, for vectors that give texts.
func Tokens(text string) []string { return tokens(text) }

// SentenceTokens splits a text into sentences of tokens.
func SentenceTokens(text string) [][]string { return each(sentences(text), treebank) }
