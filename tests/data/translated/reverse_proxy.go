// The gateway of a publisher: articles, comments, images and an office, by net/http/httputil of Go 1.22 or newer.
package main

import (
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"
)

var transport = &http.Transport{
	DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	MaxIdleConnsPerHost:   64,
	IdleConnTimeout:       60 * time.Second,
	ResponseHeaderTimeout: 10 * time.Second,
}

// to makes a proxy for an upstream. Below prefix, the prefix becomes base.
func to(name, prefix, base string, change func(*httputil.ProxyRequest)) http.Handler {
	target, err := url.Parse(os.Getenv(name))
	if err != nil || target.Host == "" {
		log.Fatalf("%s is no URL", name)
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			if prefix != "" {
				r.Out.URL.Path = base + strings.TrimPrefix(r.In.URL.Path, prefix)
				r.Out.URL.RawPath = ""
			}
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Header.Del("X-Debug")
			if change != nil {
				change(r)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("X-Powered-By")
			r.Header.Set("X-Content-Type-Options", "nosniff")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
			http.Error(w, "try again later", http.StatusBadGateway)
		},
	}
}

// keepHost sends the Host of the client.
func keepHost(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }

func office(next http.Handler) http.Handler {
	_, network, _ := net.ParseCIDR("127.0.0.0/8")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if !network.Contains(net.ParseIP(host)) {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func main() {
	mux := http.NewServeMux()
	articles := to("ARTICLES_URL", "/api/articles", "/v2/articles", nil)
	mux.Handle("GET news.example.com/api/articles", articles)
	mux.Handle("GET news.example.com/api/articles/", articles)
	comments := to("COMMENTS_URL", "", "", func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Site", "news") })
	mux.Handle("POST news.example.com/api/articles/{id}/comments",
		http.MaxBytesHandler(comments, 64<<10))
	mux.Handle("news.example.com/images/", to("IMAGES_URL", "/images", "", nil))
	mux.Handle("news.example.com/office/", office(to("OFFICE_URL", "", "", keepHost)))
	mux.Handle("news.example.com/", to("SITE_URL", "", "", keepHost))
	mux.Handle("www.news.example.com/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://news.example.com"+r.URL.RequestURI(), http.StatusMovedPermanently)
	}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })

	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 60 * time.Second}
	log.Fatal(server.ListenAndServe())
}
