/* SPDX-License-Identifier: MIT */
/*
 * pages.h - finds the picture in a file that holds several: the directories of a TIFF
 * and the frames of an animated PNG, which libvips does not describe. Private to this
 * folder.
 */
#ifndef NST_IMAGE_PAGES_H
#define NST_IMAGE_PAGES_H

#include <stdbool.h>

struct nst_input;

/* The picture of a TIFF file. */
struct nst_tiff {
    int page;   /* its directory, from 0 */
    int subifd; /* its directory among the SubIFDs of that page; -1: the page itself */
    int width, height;
    bool reduced;     /* no picture of full resolution can be read: this is a preview */
    int pages;        /* pictures of full resolution in the file */
    int bits, format; /* of a sample: BitsPerSample, SampleFormat */
    /* Number of bands from alpha to the last one; 0: no band is alpha */
    int alpha_from_end;
    bool associated; /* colours are multiplied by alpha */
    bool has_exif;   /* or other tags of photographs, which libvips does not read */
};

/* Scan the directories of a TIFF; false if in is none. */
bool nst_pages_scan_tiff(struct nst_tiff *t, const struct nst_input *in);

/* Number of frames of an animated PNG; 1 for any other file. */
int nst_pages_count_apng(const struct nst_input *in);

#endif
