package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// defaultURL is where the embedded stack's gateway listens.
const defaultURL = "http://127.0.0.1:8480"

// credentialsFile is what the embedded stack leaves in its folder.
var credentialsFile = filepath.Join(".tenuto", "credentials.json")

// credentials say where the gateway is and who asks.
type credentials struct {
	URL    string `json:"url"`
	APIKey string `json:"api_key"`
}

// findCredentials takes what the environment says, and the rest from the nearest credentials file in the working directory and
// those above it. A key from a file goes to the gateway of that file only. Error: invalid where there is no key, saying what to do.
func findCredentials(getenv func(string) string) (credentials, error) {
	found := credentials{URL: strings.TrimRight(getenv("TENUTO_URL"), "/"), APIKey: getenv("TENUTO_API_KEY")}
	if found.URL == "" || found.APIKey == "" {
		stored, err := storedCredentials()
		if err != nil {
			return found, err
		}
		found = found.completed(stored)
	}
	if found.APIKey == "" {
		return found, schemas.Errorf(schemas.Invalid,
			"no API key: set TENUTO_API_KEY (and TENUTO_URL), or run this where \"tenuto-stack up\" runs, whose key is found in %s", credentialsFile)
	}
	return found, nil
}

func (c credentials) completed(stored credentials) credentials {
	stored.URL = strings.TrimRight(stored.URL, "/")
	if c.URL == "" {
		c.URL = stored.URL
	}
	if c.URL == "" {
		c.URL = defaultURL
	}
	if c.APIKey == "" && c.URL == stored.URL {
		c.APIKey = stored.APIKey
	}
	return c
}

// storedCredentials are zero where there is no file.
func storedCredentials() (credentials, error) {
	folder, err := os.Getwd()
	if err != nil {
		return credentials{}, nil //nolint:nilerr // without a working directory there is no file to find
	}
	for {
		found, err := readCredentials(filepath.Join(folder, credentialsFile))
		if !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
		if folder == filepath.Dir(folder) {
			return credentials{}, nil
		}
		folder = filepath.Dir(folder)
	}
}

func readCredentials(path string) (found credentials, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if err == nil {
		err = json.Unmarshal(data, &found)
	}
	if err != nil {
		return found, schemas.Wrap(schemas.Invalid, err, "%s cannot be read; remove it, or set TENUTO_URL and TENUTO_API_KEY", path)
	}
	return found, nil
}
