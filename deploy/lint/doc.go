// Package lint proves that the linter's rules about the house find their breaches; a rule whose file pattern matches nothing
// would be green for ever. The proof is its test.
package lint
