// render CHART VALUES RELEASE NAMESPACE: the chart's templates, by Go's own text/template and sprig, as Helm's engine is made of;
// what Helm adds (include, toYaml, fail) is below. It stands in for `helm template`, which Debian has not, and says nothing of Helm itself.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type values = map[string]interface{}

func read(path string) values {
	data, err := os.ReadFile(path)
	check(err)
	found := values{}
	check(yaml.Unmarshal(data, &found))
	return found
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

// On top of the chart's values, map by map, as Helm does it.
func merge(base, extra values) values {
	for key, value := range extra {
		below, isMap := base[key].(values)
		above, both := value.(values)
		if isMap && both {
			base[key] = merge(below, above)
		} else {
			base[key] = value
		}
	}
	return base
}

func main() {
	chart, own := os.Args[1], read(filepath.Join(os.Args[1], "Chart.yaml"))
	root := template.New("root").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		data, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(data), "\n"), err
	}
	functions["fail"] = func(text string) (string, error) { return "", errors.New(text) }
	root.Funcs(functions)
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	check(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = root.New(filepath.Base(path)).Parse(string(text))
		check(err)
	}
	data := values{
		"Chart":   values{"Name": own["name"], "Version": own["version"], "AppVersion": own["appVersion"]},
		"Release": values{"Name": os.Args[3], "Namespace": os.Args[4], "Service": "Helm"},
		"Values":  merge(read(filepath.Join(chart, "values.yaml")), read(os.Args[2])),
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		check(root.ExecuteTemplate(&out, name, data))
		fmt.Printf("---\n# Source: %s\n%s\n", name, out.String())
	}
}
