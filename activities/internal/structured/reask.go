package structured

import "strings"

// Reask tells a model what is wrong with its last answer and asks for another.
func Reask(problems []string) string {
	var text strings.Builder
	text.WriteString("Your last answer does not have the form that was asked for:\n")
	for _, p := range problems {
		text.WriteString("- " + p + "\n")
	}
	text.WriteString("Answer again with the corrected JSON and nothing else.")
	return text.String()
}
